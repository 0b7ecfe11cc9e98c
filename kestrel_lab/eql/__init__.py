"""EQL: grammar, AST, types, IR and lowering to Wasm."""
