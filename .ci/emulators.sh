#!/usr/bin/env bash
# Third-party AWS emulators for the conformance suite: installs them by package
# name at pinned versions into a cache, starts them on free loopback ports, stops
# them.
#
#   .ci/emulators.sh start [NAME…]   install what is missing, start, wait until they
#                                    answer; prints the value of KXOPS_CONFORMANCE
#   .ci/emulators.sh value           prints that value again
#   .ci/emulators.sh stop            stops what `start` started, nothing else
#
#   export KXOPS_CONFORMANCE=$(.ci/emulators.sh start)
#   go test ./ops/cloud/conformance/; .ci/emulators.sh stop
#
# Needs curl and python3, for kinesis-local node and npm, for ElasticMQ java and
# mvn. A named emulator that cannot be installed or started is an error. State
# is in $KXOPS_EMULATORS, default the XDG cache.
set -euo pipefail

KINESIS_LOCAL=0.6.2
MINISTACK=1.5.33
CBOR2=6.3.0
MOTO=5.2.5
ELASTICMQ=1.7.1

all=(kinesis-local ministack moto elasticmq)
home=${KXOPS_EMULATORS:-${XDG_CACHE_HOME:-$HOME/.cache}/kxops/emulators}
run=$home/run
patience=90 # seconds until an emulator must answer

say() { echo "emulators: $*" >&2; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# once DIR COMMAND… runs an installation unless DIR is complete.
once() {
	local dir=$1
	shift
	[[ -e $dir/.complete ]] && return
	say "installing $(basename "$dir")"
	rm -rf "$dir"
	mkdir -p "$dir"
	(cd "$dir" && "$@") >"$dir.log" 2>&1 || {
		tail -n 20 "$dir.log" >&2
		say "could not install $(basename "$dir")"
		return 1
	}
	touch "$dir/.complete"
}

python_packages() {
	python3 -m venv venv
	venv/bin/pip install --quiet "$@"
}

npm_package() { npm install --no-audit --no-fund --loglevel=error --prefix . "$1"; }

maven_package() {
	cat >pom.xml <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kxops</groupId><artifactId>emulator</artifactId><version>1</version>
  <dependencies><dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency></dependencies>
</project>
POM
	mvn --batch-mode --quiet dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=libs
}

# background NAME COMMAND… starts an emulator in its own session and remembers its
# process, so that `stop` ends exactly that.
background() {
	local name=$1
	shift
	mkdir -p "$run/$name"
	local session=env # where there is no setsid (macOS), a plain child
	if command -v setsid >/dev/null; then session=setsid; fi
	(cd "$run/$name" && exec $session "$@" >log 2>&1 </dev/null) &
	echo $! >"$run/$name/pid"
}

start() {
	local name=$1 port dir
	if alive "$name"; then return; fi
	port=$(free_port)
	case $name in
	kinesis-local)
		dir=$home/kinesis-local-$KINESIS_LOCAL
		once "$dir" npm_package "kinesis-local@$KINESIS_LOCAL"
		# Without the certificate's path it exits, even when only the plain port is used.
		background "$name" env KINESIS_MOCK_CERT_PATH="$dir/node_modules/kinesis-local/server.json" KINESIS_MOCK_PLAIN_PORT="$port" \
			KINESIS_MOCK_TLS_PORT="$(free_port)" AWS_ACCOUNT_ID=123456789012 AWS_REGION=eu-west-1 LOG_LEVEL=ERROR node "$dir/node_modules/kinesis-local/main.js"
		;;
	ministack)
		dir=$home/ministack-$MINISTACK
		once "$dir" python_packages "ministack==$MINISTACK" "cbor2==$CBOR2"
		background "$name" env BIND_HOST=127.0.0.1 GATEWAY_PORT="$port" "$dir/venv/bin/ministack"
		;;
	moto)
		dir=$home/moto-$MOTO
		once "$dir" python_packages "moto[server]==$MOTO"
		background "$name" "$dir/venv/bin/moto_server" -H 127.0.0.1 -p "$port"
		;;
	elasticmq)
		dir=$home/elasticmq-$ELASTICMQ
		once "$dir" maven_package org.elasticmq elasticmq-server_2.13 "$ELASTICMQ"
		background "$name" java -Drest-sqs.bind-hostname=127.0.0.1 -Drest-sqs.bind-port="$port" -Drest-stats.enabled=false \
			-cp "$dir/libs/*" org.elasticmq.server.Main
		;;
	*)
		say "unknown emulator $name: one of ${all[*]}"
		exit 2
		;;
	esac
	echo "http://127.0.0.1:$port" >"$run/$name/url"
}

alive() {
	local pid
	pid=$(cat "$run/$1/pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null
}

# furnish makes what a fresh emulator lacks: moto refuses a function whose role
# does not exist, and the suite has no IAM client.
furnish() {
	[[ $1 == moto ]] || return 0
	curl --silent --show-error --fail --noproxy '*' --output /dev/null \
		-H 'Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=test' \
		-d 'Action=CreateRole&Version=2010-05-08&RoleName=kxops-conformance' \
		--data-urlencode 'AssumeRolePolicyDocument={"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}' \
		"$(cat "$run/moto/url")/"
}

# ready waits until the emulator answers any HTTP request at all.
ready() {
	local name=$1 url deadline
	url=$(cat "$run/$name/url")
	deadline=$((SECONDS + patience))
	until curl --silent --noproxy '*' --max-time 2 --output /dev/null "$url/"; do
		if ! alive "$name" || ((SECONDS > deadline)); then
			tail -n 20 "$run/$name/log" >&2
			say "$name does not answer at $url"
			return 1
		fi
		sleep 0.3
	done
	if [[ ! -e $run/$name/furnished ]]; then
		furnish "$name"
		touch "$run/$name/furnished"
	fi
	say "$name at $url"
}

print_value() {
	local line="" name
	for name in "${all[@]}"; do
		if alive "$name"; then line+=${line:+,}$name=$(cat "$run/$name/url"); fi
	done
	echo "$line"
}

stop() {
	local name=$1 pid
	if alive "$name"; then
		pid=$(cat "$run/$name/pid")
		kill -- "-$pid" 2>/dev/null || kill "$pid"
		say "$name stopped"
	fi
	rm -rf "${run:?}/$name"
}

case ${1:-} in
start)
	shift
	names=("$@")
	((${#names[@]})) || names=("${all[@]}")
	for name in "${names[@]}"; do start "$name"; done
	for name in "${names[@]}"; do ready "$name"; done
	print_value
	;;
value) print_value ;;
stop) for name in "${all[@]}"; do stop "$name"; done ;;
*)
	sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2
	exit 2
	;;
esac
