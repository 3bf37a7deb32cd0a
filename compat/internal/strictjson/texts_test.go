package strictjson_test

import (
	"strings"
)

// notUTF8 stands for ErrNotUTF8 in the table.
const notUTF8 = "Invalid UTF-8 in JSON"

// syntaxTest is a text and what is wrong with it; nothing: it is accepted.
type syntaxTest struct{ name, text, problem string }

// texts are those that Parse and Stream judge alike.
var texts = []syntaxTest{
	{"object", `{"operation":"user_info"}`, ""},
	{"white space, a byte order mark and an escaped key", "\ufeff \n{\"oper\\u0061tion\" :\t\"user_info\"}\r ", ""},
	{"numbers of every form", `{"n":[0,-0,1.5,-2e9,3E+2,4e-1,1e999,12]}`, ""},
	{"literals", `[true,false,null]`, ""},
	{"empty containers", `[{},[],{ },[ ]]`, ""},
	{"number alone", `-12.5e3`, ""},
	{"every escape", `"\"\\\/\b\f\n\r\t\u00e4"`, ""},
	{"half of a surrogate pair", `{"username":"\ud800"}`, ""},
	{"equal keys in different objects", `{"a":{"x":1},"b":{"x":1},"c":[{"x":1},{"x":1}]}`, ""},
	{"keys that differ in letter case", `{"operation":1,"Operation":2}`, ""},
	{"constructor without prototype", `{"constructor":{"x":1}}`, ""},
	{"prototype without constructor", `{"prototype":1}`, ""},
	{"key twice", `{"operation":1,"operation":1}`, "Duplicate property name in JSON at position 26"},
	{"key twice, once escaped", `{"a":1,"\u0061":2}`, "Duplicate property name in JSON at position 15"},
	{"key twice among many", `{` + manyKeys(100) + `,"k7":1}`, "Duplicate property name in JSON at position 804"},
	{"key that is not UTF-8", "{\"\xff\":1}", notUTF8},
	{"unknown escape", `{"operation":"\x"}`, "Unexpected token in JSON at position 15"},
	{"escape with a wrong digit", `{"operation":"\u00g0"}`, "Unexpected token in JSON at position 18"},
	{"leading zero", `{"operation":01}`, "Unexpected token in JSON at position 14"},
	{"leading plus", `{"operation":+1}`, "Unexpected token in JSON at position 13"},
	{"point without digits", `{"operation":1.}`, "Unexpected token in JSON at position 15"},
	{"two points", `1.2.3`, "Unexpected token in JSON at position 3"},
	{"exponent without digits", `1e+]`, "Unexpected token in JSON at position 3"},
	{"unknown literal", `{"operation":NaN}`, "Unexpected token in JSON at position 13"},
	{"misspelt literal", `nule`, "Unexpected token in JSON at position 3"},
	{"brackets that do not match", `{"operation":[1}`, "Unexpected token in JSON at position 15"},
	{"key without value", `{"operation"}`, "Unexpected token in JSON at position 12"},
	{"key without quotes", `{operation:1}`, "Unexpected token in JSON at position 1"},
	{"comma before the end of an object", `{"a":1,}`, "Unexpected token in JSON at position 7"},
	{"comma before the end of an array", `[1,]`, "Unexpected token in JSON at position 3"},
	{"two objects", `{"operation":"a"}{}`, "Unexpected token in JSON at position 17"},
	{"line break in a string", "{\"operation\":\"a\nb\"}", "Bad control character in string literal in JSON at position 15"},
	{"too many levels", strings.Repeat("[", 1<<16+1), "Request body is nested too deeply"},
}

// wholeTexts are those that only Parse refuses: it reads inner keys and all bytes of strings, and it sees where the text ends.
var wholeTexts = []syntaxTest{
	{"key twice in an inner object", `{"a":[{"b":{"c":1,"c":1}}]}`, "Duplicate property name in JSON at position 21"},
	{"__proto__", `{"a":{"__proto__":1}}`, "Object contains forbidden prototype property"},
	{"prototype of a constructor", `{"constructor":{"prototype":1}}`, "Object contains forbidden prototype property"},
	{"bytes that are not UTF-8", "{\"operation\":\"\xff\"}", notUTF8},
	{"surrogate in UTF-8", "{\"operation\":\"\xed\xa0\x80\"}", notUTF8},
	{"no text", "", "Unexpected end of JSON input"},
	{"white space alone", " \n", "Unexpected end of JSON input"},
	{"half of an object", `{"operation":"a"`, "Unexpected end of JSON input"},
	{"half of a key", `{"oper`, "Unexpected end of JSON input"},
	{"half of a string", `"oper`, "Unexpected end of JSON input"},
	{"half of a literal", `{"operation":tru`, "Unexpected end of JSON input"},
	{"half of a number", `{"operation":-`, "Unexpected end of JSON input"},
	{"number that ends in a point", `1.`, "Unexpected end of JSON input"},
	{"half of an escape", `{"operation":"\u00`, "Unexpected end of JSON input"},
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"k` + string(rune('0'+i/10%10)) + string(rune('0'+i%10)) + `":1`)
	}
	return strings.Replace(b.String(), `"k07"`, `"k7"`, 1)
}
