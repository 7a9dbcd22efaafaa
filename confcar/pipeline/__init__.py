"""The pipeline of a bundle: collect, settle, render, stage, check, publish; then reload until it is acknowledged."""
