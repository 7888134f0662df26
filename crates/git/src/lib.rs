//! Reads remote Git repositories over https, http and ssh.
