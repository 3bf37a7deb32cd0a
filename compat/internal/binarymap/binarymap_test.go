package binarymap_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat/internal/binarymap"
)

var sql = []binarymap.Member{{Key: "operation", Text: "sql"}}

var messagePacks = []struct {
	name, body string
	want       []binarymap.Member // nil: refused
}{
	{"small map", "\x81\xa9operation\xa3sql", sql},
	{"16-bit map, 8-bit texts", "\xde\x00\x01\xd9\x09operation\xd9\x03sql", sql},
	{"32-bit map, 16- and 32-bit texts", "\xdf\x00\x00\x00\x01\xda\x00\x09operation\xdb\x00\x00\x00\x03sql", sql},
	{
		"all kinds of values", "\xde\x00\x12\xa1a\x01\xa1b\xff\xa1c\xc0\xa1d\xc2\xa1e\xc4\x02xx\xa1f\xca0123\xa1g\xcb01234567\xa1h\xcd01\xa1i\xd301234567" +
			"\xa1j\xd6\xff0123\xa1k\xc7\x02\xff01\xa1l\x92\x01\x81\xa1x\xc3\xa1m\xdc\x00\x01\x05\xa1n\xdd\x00\x00\x00\x00\xa1o\xc5\x00\x01x\xa1p\x80\xa1q\xa0\xa1r\xa1z",
		func() (list []binarymap.Member) {
			for _, key := range "abcdefghijklmnopqr" {
				list = append(list, binarymap.Member{Key: string(key)})
			}
			list[17].Text = "z"
			return list
		}(),
	},
	{"empty", "", nil},
	{"list", "\x91\xa3sql", nil},
	{"key twice", "\x82\xa9operation\xa3sql\xa9operation\xa5login", nil},
	{"key twice, in other lengths", "\x82\xa9operation\xa3sql\xd9\x09operation\xa5login", nil},
	{"key that is bytes", "\x81\xc4\x09operation\xa3sql", nil},
	{"key that is a number", "\x81\x01\xa3sql", nil},
	{"bytes behind the map", "\x81\xa9operation\xa3sql\x01", nil},
	{"cut off", "\x82\xa9operation\xa3sql", nil},
	{"text cut off", "\x81\xa9operation\xbfsql", nil},
	{"record extension", "\xd4\x72\x40\x91\xa9operation\xa3sql", nil},
	{"record extension inside", "\x82\xa1a\xd4\x72\x40\xa9operation\xa3sql", nil},
	{"byte that is not used", "\x81\xa1a\xc1", nil},
	{"not UTF-8", "\x81\xa1\xff\x01", nil},
	{"length of 4 GB", "\xdf\xff\xff\xff\xff", nil},
	{"too deep", "\x81\xa1a" + strings.Repeat("\x91", 100000) + "\x01", nil},
}

var cbors = []struct {
	name, body string
	want       []binarymap.Member
}{
	{"map", "\xa1\x69operation\x63sql", sql},
	{"lengths of more bytes", "\xb8\x01\x78\x09operation\x79\x00\x03sql", sql},
	{"endless map", "\xbf\x69operation\x63sql\xff", sql},
	{
		"all kinds of values", "\xad\x61a\x01\x61b\x38\x64\x61c\xf6\x61d\xf5\x61e\x42xx\x61f\xfa0123\x61g\x82\x01\xa1\x61x\xf4\x61h\x9f\x01\x02\xff\x61i\xbf\x61x\x01\xff" +
			"\x61j\xc1\x1a0123\x61k\x80\x61l\xf7\x61m\x61z",
		func() (list []binarymap.Member) {
			for _, key := range "abcdefghijklm" {
				list = append(list, binarymap.Member{Key: string(key)})
			}
			list[12].Text = "z"
			return list
		}(),
	},
	{"empty", "", nil},
	{"list", "\x81\x63sql", nil},
	{"tagged map", "\xd8\x33\xa1\x69operation\x63sql", nil},
	{"key twice", "\xa2\x69operation\x63sql\x69operation\x65login", nil},
	{"text in pieces", "\xa1\x69operation\x7f\x62sq\x61l\xff", nil},
	{"key that is a reference", "\xa1\xe0\x63sql", nil},
	{"value that is a reference", "\xa1\x69operation\xe0", nil},
	{"shared value", "\xa1\x61a\xd8\x1c\x80", nil},
	{"break in a map of known length", "\xa1\x61a\xff", nil},
	{"break in place of a value", "\xbf\x61a\xff", nil},
	{"break in place of a value, inside", "\xa1\x61a\xbf\x61a\xff", nil},
	{"bytes behind the map", "\xa0\x01", nil},
	{"cut off", "\xbf\x69operation\x63sql", nil},
	{"length of 16 EB", "\xbb\xff\xff\xff\xff\xff\xff\xff\xff", nil},
	{"too deep", "\xa1\x61a" + strings.Repeat("\x81", 100000) + "\x01", nil},
}

func TestMessagePack(t *testing.T) {
	for _, test := range messagePacks {
		got, err := binarymap.MessagePack([]byte(test.body))
		if diff := cmp.Diff(test.want, got); diff != "" || (err == nil) != (test.want != nil) {
			t.Errorf("%s: %v (-want +got):\n%s", test.name, err, diff)
		}
	}
}

func TestCBOR(t *testing.T) {
	for _, test := range cbors {
		got, err := binarymap.CBOR([]byte(test.body))
		if diff := cmp.Diff(test.want, got); diff != "" || (err == nil) != (test.want != nil) {
			t.Errorf("%s: %v (-want +got):\n%s", test.name, err, diff)
		}
	}
}

// FuzzMembers: no body makes a reader panic, and no key is returned twice.
func FuzzMembers(f *testing.F) {
	for _, test := range messagePacks {
		f.Add([]byte(test.body))
	}
	for _, test := range cbors {
		f.Add([]byte(test.body))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, read := range []func([]byte) ([]binarymap.Member, error){binarymap.MessagePack, binarymap.CBOR} {
			list, err := read(data)
			seen := map[string]bool{}
			for _, m := range list {
				if err != nil || seen[m.Key] {
					t.Fatalf("%q: %v %v", data, list, err)
				}
				seen[m.Key] = true
			}
		}
	})
}
