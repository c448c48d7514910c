//go:build tools

// Package pebble names the programs that install.sh builds: an ACME authority for tests.
package pebble

import (
	_ "github.com/letsencrypt/pebble/v2/cmd/pebble"
)
