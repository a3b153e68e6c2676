import type { AddressInfo } from 'node:net'
import { isErrno } from '../oci/errors.ts'
import type { createRegistryApp } from './app.ts'
import { RegistryError } from './errors.ts'
import { type KeptCertificate, keepCertificate } from './tls/kept-certificate.ts'

export interface StartDeps {
  readonly app: ReturnType<typeof createRegistryApp>
  /** A name or an address; `0.0.0.0` and `::` listen on all. */
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** How long `close` lets transfers go on. */
  readonly drainMs?: number
  /** Without it, plain HTTP. */
  readonly tls?: KeptCertificate
}

export interface RunningRegistry {
  /** The address as bound, with the true port. */
  readonly address: { readonly host: string; readonly port: number }
  /** Takes no new connection, lets requests in flight end until the time is up, then cuts them. */
  close(): Promise<void>
}

const REAP_MS = 50

/** @throws RegistryError `address-in-use`, `address-invalid`, `tls-invalid` */
export async function startRegistry({
  app,
  host,
  port,
  drainMs = 10_000,
  tls,
}: StartDeps): Promise<RunningRegistry> {
  const kept = tls && (await keepCertificate(app.server, tls))
  try {
    // For `localhost`, Fastify would make a second server, which knows nothing of TLS.
    await app.listen({ host: tls !== undefined && host === 'localhost' ? '127.0.0.1' : host, port })
  } catch (error) {
    kept?.[Symbol.dispose]()
    throw listenError(error, `${host}:${port}`)
  }
  const { server } = app
  return {
    address: boundAddress(server.address(), host),
    async close() {
      // A connection whose last request ends meanwhile would idle until its keep-alive time is over.
      const reap = setInterval(() => server.closeIdleConnections(), REAP_MS)
      const cut = setTimeout(() => server.closeAllConnections(), drainMs)
      try {
        await app.close()
      } finally {
        kept?.[Symbol.dispose]()
        clearInterval(reap)
        clearTimeout(cut)
      }
    },
  }
}

function boundAddress(bound: AddressInfo | string | null, host: string): RunningRegistry['address'] {
  return typeof bound === 'object' && bound !== null
    ? { host: bound.address, port: bound.port }
    : { host, port: 0 }
}

function listenError(error: unknown, address: string): unknown {
  if (isErrno(error, 'EADDRINUSE')) {
    return new RegistryError(
      'address-in-use',
      `Cannot listen on ${address}: another program uses that port`,
      {
        cause: error,
        hint: 'stop that program, or take another port with --listen HOST:PORT',
      },
    )
  }
  if (isErrno(error, 'EACCES')) {
    return new RegistryError('address-invalid', `Cannot listen on ${address}: permission denied`, {
      cause: error,
      hint: 'ports below 1024 are for root; take a higher one with --listen HOST:PORT',
    })
  }
  if (isErrno(error, 'EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN', 'EINVAL', 'EAFNOSUPPORT')) {
    return new RegistryError(
      'address-invalid',
      `Cannot listen on ${address}: this machine has no such address`,
      {
        cause: error,
      },
    )
  }
  return error
}
