import { CliError } from '../errors.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

/** `HOST:PORT`, `[::1]:PORT`, `:PORT` for every address. @throws CliError `usage` */
export function parseListen(text: string): Address {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:\s/]*):(\d{1,5})$/.exec(text)
  const port = Number(match?.[2])
  if (match === null || port > 65_535) {
    throw new CliError('usage', `serve: the address to listen on is HOST:PORT, not ${JSON.stringify(text)}`, {
      hint: "see 'slipway serve --help'",
    })
  }
  const host = (match[1] ?? '').replace(/^\[|\]$/g, '')
  return { host: host === '' ? '0.0.0.0' : host, port }
}

/** `HOST:PORT` as it stands in a URL or an image's name. */
export function formatAddress({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Where this machine reaches a server that listens there. */
export function localAddress({ host, port }: Address): Address {
  return { host: isEveryAddress(host) ? '127.0.0.1' : host, port }
}

export function isEveryAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}
