// Package binarymap reads the top level of a body in MessagePack or CBOR (RFC 8949): the keys of a map, and their values where these
// are texts. It is for a server that passes a body on and has to know what it asks for.
//
// It refuses what two readers could understand differently: a key that occurs twice or is not a text, bytes behind the map, and
// extensions and tags other than times. Some libraries read the bytes behind an extension as a part of it, or a number as a text.
package binarymap
