package redisdb

import "sync"

// SlotTag returns three characters that make a hash tag of the same Redis Cluster slot as the given one: {SlotTag(tag)} and {tag}
// are in one slot. Keys of which there are very many use it, because each character of a key is stored with every one of them.
func SlotTag(tag string) string { return slotTags()[slot(tag)] }

// Slots is the number of slots of a Redis Cluster.
const Slots = 16384

// slotTags finds a tag of three characters for every slot, which takes some milliseconds, once. The choice is stored in keys and
// must not change: the first in the order of the alphabet.
var slotTags = sync.OnceValue(func() *[Slots]string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var tags [Slots]string
	for _, a := range []byte(alphabet) {
		for _, b := range []byte(alphabet) {
			for _, c := range []byte(alphabet) {
				tag := string([]byte{a, b, c})
				if n := slot(tag); tags[n] == "" {
					tags[n] = tag
				}
			}
		}
	}
	return &tags
})

// slot is the slot of a hash tag: CRC-16/XMODEM modulo the number of slots (Redis Cluster specification, "Key distribution
// model").
func slot(tag string) int {
	var crc uint16
	for i := range len(tag) {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^tag[i]]
	}
	return int(crc) % Slots
}

var crcTable = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		table[i] = crc
	}
	return table
}()
