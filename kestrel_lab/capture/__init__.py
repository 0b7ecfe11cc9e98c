"""A live source of epochs from the kernel. The only package that imports bcc."""
