"""The audit: data of any form and eval sets in; findings, a verdict and a document that can be shown to others out."""
