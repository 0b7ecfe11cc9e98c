"""An engine driven over a source: modes, digest, proof and diff. What every face calls."""
