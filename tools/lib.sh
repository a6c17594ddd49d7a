# What the set-up scripts share; sourced by them in the project's folder.

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

apt_install() { # apt_install WHAT PACKAGE...: install what is missing where that is allowed, else say what to do
  local what=$1 sudo=""
  shift
  local hint="$what is missing: install it with 'apt-get install -y $*' and run this again"
  command -v apt-get >/dev/null || die "$hint"
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || die "$hint"
    sudo="sudo -n"
  fi
  say "$what is missing: installing $*"
  { $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } \
    >/dev/null || die "$hint (apt-get failed)"
}

java() { command "${JAVA_HOME:+$JAVA_HOME/bin/}java" "$@"; }

fetch_jars() { # fetch_jars CONF...: the jars of these configurations of jars/ivy.xml, each into jars/CONF, whole or not at all
  local ivy log conf
  ivy=$(echo .venv/lib/python3.11/site-packages/pyspark/jars/ivy-*.jar)
  log=$(mktemp)
  for conf in "$@"; do rm -rf "jars/$conf.partial"; done
  java -jar "$ivy" -cache "${IVY_CACHE:-$HOME/.cache/maas-ivy}" -ivy jars/ivy.xml -confs "$@" \
    -types jar bundle eclipse-plugin -retrieve "jars/[conf].partial/[artifact]-[revision](-[classifier]).[ext]" >"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; die "the jars of jars/ivy.xml could not be fetched: the log is $log"; }
  for conf in "$@"; do rm -rf "jars/$conf" && mv "jars/$conf.partial" "jars/$conf"; done
  rm -f "$log"
}

build_log_store() { # jars/spark/maas-lake.jar: what keeps commits in a folder apart
  local classes
  classes=$(mktemp -d)
  java -m jdk.compiler/com.sun.tools.javac.Main -source 17 -target 17 -Xlint:-options -d "$classes" \
    -cp "$(echo jars/spark/*.jar .venv/lib/python3.11/site-packages/pyspark/jars/hadoop-client-*.jar | tr ' ' :)" core/lake/*.java
  java -m jdk.jartool/sun.tools.jar.Main --create --file jars/spark/maas-lake.jar --date 2020-01-01T00:00:00Z -C "$classes" .
  rm -rf "$classes"
}
