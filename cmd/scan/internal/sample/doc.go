// Package sample makes inputs for the scanner's tests: images from files, and databases from
// records.
package sample
