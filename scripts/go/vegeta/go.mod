// What makes load at a fixed rate for `make bench-serve`, with every dependency pinned by go.sum.
module nachlass/vegeta

go 1.22

require github.com/tsenart/vegeta/v12 v12.12.0
