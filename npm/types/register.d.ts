// It is there for what it does.
export {}
