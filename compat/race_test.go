//go:build race

package compat_test

// raceDetector tells that everything takes many times as long.
const raceDetector = true
