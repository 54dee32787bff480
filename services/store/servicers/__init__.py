"""The etcd v3 API's services: translate, ask the store, translate back."""
