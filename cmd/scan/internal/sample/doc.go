// Package sample makes what the scanner's tests look into: images by their files, and
// databases by their records.
package sample
