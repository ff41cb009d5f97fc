# Of K3s's data only the outermost folder is for everybody, as K3s itself makes them.
own_folder() {
  (umask 022 && case $1 in
    /var/lib/rancher/k3s/*) mkdir -p /var/lib/rancher/k3s ;;
    *) mkdir -p "${1%/*}" ;;
  esac)
  mkdir -p "${1%/*}"
}
