"""Running a notebook with nbclient, in a kernel of the user's own interpreter."""
