package config

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// key is one setting: its place in the file and its variable.
type key struct {
	path  string // in the file, "redis.password"
	env   string // "OPGRANT_REDIS_PASSWORD"; empty: only the file can set it
	typ   reflect.Type
	index []int // of the field in Config
}

const envPrefix = "OPGRANT_"

var (
	durationType = reflect.TypeFor[time.Duration]()
	secretsType  = reflect.TypeFor[[]Secret]()
	fileBacked   = []reflect.Type{reflect.TypeFor[Secret](), reflect.TypeFor[RedisURL](), reflect.TypeFor[Content](), secretsType}
)

// fileBacked tells whether the key can also be given as a file, with the suffix _file.
func (k key) fileBacked() bool { return isFileBacked(k.typ) }

func isFileBacked(t reflect.Type) bool { return slices.Contains(fileBacked, t) }

// keys lists the settings of Config in the order of its fields.
func keys() []key { return structKeys(reflect.TypeFor[Config](), "", nil) }

func structKeys(t reflect.Type, prefix string, index []int) []key {
	var list []key
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Tag.Get("koanf") == "-" {
			continue
		}
		at := append(append([]int(nil), index...), i)
		path := prefix + f.Tag.Get("koanf")
		if f.Type.Kind() == reflect.Struct {
			list = append(list, structKeys(f.Type, path+".", at)...)
			continue
		}
		k := key{path: path, typ: f.Type, index: at}
		if !isStructSlice(f.Type) {
			k.env = envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
			if name := f.Tag.Get("env"); name != "" {
				k.env = envPrefix + name
			}
		}
		list = append(list, k)
	}
	return list
}

func isStructSlice(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}
