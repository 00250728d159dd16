// Package ui is the console: one Bubble Tea model over one picture of an AWS
// account. It reads through the Backend it is given and changes nothing.
//
// Read the files in this order: options.go (what the console is given), app.go
// (the one model: what a message does), picture.go (what the screens see),
// poll.go (how a picture comes), action.go and actions.go (keys are data),
// screen.go and screens.go (THE list of screens), list.go and document.go (the
// two shapes a screen can have), then any screen_x.go. All text reaches the
// terminal through ui/text, which cleans it.
package ui
