"""Verbs over any object: pure pieces that every service needs (Kubernetes' apimachinery)."""
