// Package strictjson reads JSON (RFC 8259) and refuses every text that two readers could understand differently: a key that
// occurs twice in one object, bytes that are not UTF-8, and the keys that JavaScript treats as prototypes.
//
// [Parse] reads a text that is in memory. [Stream] checks a text while it is passed on, without holding it. Both run the same
// scanner, which reads byte by byte and without recursion.
//
// The errors about the text are of type [SyntaxError]. They are written for the sender of the text: they name a position, and
// never quote the text, which may hold a password. Their words are those of V8, the JavaScript engine of the recorded server,
// except that V8 names the unexpected character and what it expected instead, and accepts equal keys.
package strictjson
