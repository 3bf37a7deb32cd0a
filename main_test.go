package opgrant_test

import (
	"os"
	"testing"

	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestMain(m *testing.M) { os.Exit(storagetest.Main(m)) }
