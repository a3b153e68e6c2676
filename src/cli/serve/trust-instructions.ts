/**
 * What each client's machine must run, once, to trust the authority. Every line fetches the certificate over plain
 * HTTP, where anybody on the way could put another in its place: so the fingerprint is printed, to be compared.
 */
import type { Authority } from '../../registry/tls/authority.ts'

/** @param address `HOST:PORT` as clients name it */
export function trustInstructions({ fingerprint }: Pick<Authority, 'fingerprint'>, address: string): string {
  // Not curl's --create-dirs: other users could not read the folders that it makes.
  const fetchTo = (folder: string, file: string): string =>
    `mkdir -p ${folder} && curl -fsS -o ${folder}/${file} http://${address}/ca.crt`
  const anchor = `slipway-${address.replaceAll(/[^A-Za-z0-9.]+/g, '-').replace(/^-/, '')}.crt`
  const lines = [
    'For a client to trust it, run there as root, once (no restart is needed):',
    `  docker       ${fetchTo(`/etc/docker/certs.d/${address}`, 'ca.crt')}`,
    `  podman etc.  ${fetchTo(`/etc/containers/certs.d/${address}`, 'ca.crt')}`,
    `  containerd   ${fetchTo(`/etc/containerd/certs.d/${address}`, 'ca.crt')}`,
    `  all, Debian  ${fetchTo('/usr/local/share/ca-certificates', anchor)} && update-ca-certificates`,
    `  all, Fedora  ${fetchTo('/etc/pki/ca-trust/source/anchors', anchor)} && update-ca-trust`,
    'What arrived must have this fingerprint (openssl x509 -noout -fingerprint -sha256 -in FILE):',
    `  ${fingerprint}`,
  ]
  return `${lines.join('\n')}\n`
}
