"""Data contracts: what must hold of samples, pictures, kept samples and the manifest, checked by Great Expectations."""
