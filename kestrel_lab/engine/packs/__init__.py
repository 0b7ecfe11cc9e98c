"""Rule packs: from files to compiled rules, and what is to be said of them."""
