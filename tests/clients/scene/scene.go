// Package scene is what the programs of Go clients share: checks, and what the members of a group do together.
package scene

import (
	"fmt"
	"reflect"
	"runtime/debug"
	"time"
)

// Limit is only against hanging for ever.
const Limit = 60 * time.Second

// Check panics with an error that is one.
func Check(err error) {
	if err != nil {
		panic(err)
	}
}

// Same panics unless what was got is what was wanted.
func Same(what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		panic(fmt.Sprintf("%s: got %v, want %v", what, got, want))
	}
}

// Until waits for a condition.
func Until(what string, condition func() bool) {
	for end := time.Now().Add(Limit); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			panic("never came true: " + what)
		}
	}
}

// Numbers returns the values "event first" and so on.
func Numbers(first, count int) (values []string) {
	for i := first; i < first+count; i++ {
		values = append(values, fmt.Sprint("event ", i))
	}
	return values
}

// Version returns the version of a module that the program was built with, without its v.
func Version(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, each := range info.Deps {
		if each.Path == module {
			return each.Version[1:]
		}
	}
	panic("which " + module + "?")
}
