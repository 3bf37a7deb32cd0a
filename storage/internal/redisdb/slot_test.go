package redisdb

import "testing"

// The example of the Redis Cluster specification, and slots that a Redis named.
func TestSlotIsThatOfRedis(t *testing.T) {
	for tag, want := range map[string]int{"123456789": 12739, "foo": 12182, "user1000": 3443} {
		if got := slot(tag); got != want {
			t.Errorf("slot of %q is %d, want %d", tag, got, want)
		}
	}
}

func TestEverySlotHasATag(t *testing.T) {
	for n, tag := range slotTags() {
		if len(tag) != 3 || slot(tag) != n {
			t.Fatalf("the tag of slot %d is %q, of slot %d", n, tag, slot(tag))
		}
	}
	subject := SubjectTag("alice")
	if got := SlotTag(subject); slot(got) != slot(subject) {
		t.Errorf("{%s} and {%s} are in slots %d and %d", got, subject, slot(got), slot(subject))
	}
}
