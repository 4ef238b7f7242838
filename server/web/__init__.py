"""The shell on HTTP: parse, call one use case, answer. The only package that knows flask."""
