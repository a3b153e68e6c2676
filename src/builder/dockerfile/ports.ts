import { isIP } from 'node:net'
import type { Warning } from './instructions.ts'
import { invalid } from './invalid.ts'
import type { SourceSpan } from './source.ts'

/** What hostile words may make of `EXPOSE 0-65535` again and again. */
const MAX_PORTS = 4 * 65536

/**
 * The ports of EXPOSE as the config lists them, `80/tcp`, in the order of the words, ranges written out (semantics
 * 18). A word is `[[ip:]host-port:]port[-last][/protocol]`; what concerns the host is checked and dropped.
 * @param words expanded
 */
export function parsePorts(words: readonly string[], span: SourceSpan): readonly string[] {
  const ports: string[] = []
  for (const word of words) {
    const { first, last, protocol } = parsePort(word, span)
    if (ports.length + (last - first) >= MAX_PORTS)
      throw invalid(`Cannot expose ${JSON.stringify(word)}: these are more than ${MAX_PORTS} ports`, span)
    for (let port = first; port <= last; port++) ports.push(`${port}/${protocol}`)
  }
  return ports
}

/** What is understood, and means less than it seems to. */
export function lintPorts(words: readonly string[], span: SourceSpan): readonly Warning[] {
  return words.flatMap(word => {
    const found: Warning[] = []
    const [, protocol] = splitOnce(word.slice(word.lastIndexOf(':') + 1), '/')
    if (protocol !== protocol.toLowerCase()) {
      const message = `The protocol of ${JSON.stringify(word)} is not in lower case`
      found.push({ rule: 'ExposeProtoCasing', message, span })
    }
    if (word.includes(':')) {
      const message = `EXPOSE has no use for the host's side of ${JSON.stringify(word)}: only the container's port is kept`
      found.push({ rule: 'ExposeInvalidFormat', message, span })
    }
    return found
  })
}

interface PortRange {
  readonly first: number
  readonly last: number
}

function parsePort(word: string, span: SourceSpan): PortRange & { readonly protocol: string } {
  const refuse = (state: string) => invalid(`Cannot expose ${JSON.stringify(word)}: ${state}`, span)
  const parts = word.split(':')
  const own = parts.pop() ?? ''
  const hostPort = parts.pop()
  const address = parts.join(':').replace(/^\[(.*)\]$/, '$1')
  const [range = '', protocol = ''] = splitOnce(own, '/')
  const name = protocol === '' ? 'tcp' : protocol.toLowerCase()
  const container = parseRange(range)
  if (container === undefined) throw refuse('the port must be a number up to 65535, or two with a "-"')
  if (!['tcp', 'udp', 'sctp'].includes(name)) throw refuse('the protocol must be tcp, udp or sctp')
  if (address !== '' && isIP(address) === 0) throw refuse(`${JSON.stringify(address)} is not an IP address`)
  if (hostPort !== undefined && hostPort !== '') checkHostRange(hostPort, container, refuse)
  return { ...container, protocol: name }
}

function checkHostRange(text: string, container: PortRange, refuse: (state: string) => Error): void {
  const host = parseRange(text)
  if (host === undefined) throw refuse('the host port must be a number up to 65535, or two with a "-"')
  const size = container.last - container.first
  if (size > 0 && host.last - host.first !== size)
    throw refuse('the ranges of host and container differ in size')
}

function parseRange(text: string): PortRange | undefined {
  const match = /^(\d{1,10})(?:-(\d{1,10}))?$/.exec(text)
  if (match === null) return undefined
  const first = Number(match[1])
  const last = Number(match[2] ?? match[1])
  return last < first || last > 65535 ? undefined : { first, last }
}

function splitOnce(text: string, separator: string): readonly [string, string] {
  const index = text.indexOf(separator)
  return index === -1 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)]
}
