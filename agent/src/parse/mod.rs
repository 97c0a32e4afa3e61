//! Pure parsers of text: no files, no clock, no state that outlives a call.
