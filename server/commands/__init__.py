"""The commands of `safelight`, one module an errand; each parses, calls one use case, and says what came of it."""
