import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createRequestLog } from '../../../../src/cli/serve/request-log.ts'
import type { RepositoryName, Tag } from '../../../../src/oci/reference.ts'
import type { ObservedRequest } from '../../../../src/registry/observation.ts'
import { fakeTerminal } from '../fake-terminal.ts'

const PUSH: ObservedRequest = {
  id: 'request-1',
  method: 'PUT',
  url: '/v2/team/app/manifests/1.0?token=geheim',
  route: 'manifest',
  target: { kind: 'manifest', name: 'team/app' as RepositoryName, reference: { tag: '1.0' as Tag } },
  principal: { kind: 'user', name: 'ann' },
  status: 201,
  bytesIn: 500,
  bytesOut: 0,
  tookMs: 12.3456,
  isComplete: true,
  address: '192.0.2.1',
  userAgent: 'docker/28',
}

function logged(form: 'json' | 'text', request: ObservedRequest): string {
  const terminal = fakeTerminal()
  createRequestLog(terminal, form)?.(request)
  return terminal.stderr.text
}

describe('createRequestLog()', () => {
  it('writes one JSON object a line', () => {
    const line = logged('json', PUSH)
    assert.match(line, /^\{.*\}\n$/)
    const { time, ...rest } = JSON.parse(line)
    assert.ok(Number.isFinite(Date.parse(time)))
    assert.deepEqual(rest, {
      level: 'info',
      id: 'request-1',
      client: '192.0.2.1',
      user: 'ann',
      method: 'PUT',
      path: '/v2/team/app/manifests/1.0',
      route: 'manifest',
      repository: 'team/app',
      tag: '1.0',
      status: 201,
      bytesIn: 500,
      bytesOut: 0,
      ms: 12.3,
      userAgent: 'docker/28',
    })
  })

  it('writes text for people', () => {
    assert.match(
      logged('text', { ...PUSH, isComplete: false }),
      /^\S+ 192\.0\.2\.1 ann PUT \/v2\/team\/app\/manifests\/1\.0 201 in=500 out=0 12\.3ms aborted request-1\n$/,
    )
  })

  it('leaves out queries, where secrets are', () => {
    for (const form of ['json', 'text'] as const) assert.doesNotMatch(logged(form, PUSH), /geheim/)
  })

  it('lets no client begin a line or steer a terminal', () => {
    const hostile = 'x\r\n{"status":200}\u001b[2J\u0000\u2028'
    const request: ObservedRequest = {
      ...PUSH,
      method: hostile,
      url: `/${hostile}`,
      userAgent: hostile,
      principal: { kind: 'user', name: hostile },
    }
    for (const form of ['json', 'text'] as const) {
      const line = logged(form, request)
      assert.equal(line.indexOf('\n'), line.length - 1)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      assert.doesNotMatch(line.slice(0, -1), /[\x00-\x1f]/)
    }
    assert.equal(JSON.parse(logged('json', request)).user, hostile)
  })

  it('cuts what is too long', () => {
    const line = logged('json', { ...PUSH, url: `/${'a'.repeat(100_000)}`, userAgent: 'b'.repeat(100_000) })
    assert.ok(line.length < 2000)
  })

  it('is silent about probes that succeed, and when it is off', () => {
    for (const url of ['/livez', '/readyz?x', '/metrics'])
      assert.equal(logged('json', { ...PUSH, url, status: 200 }), '')
    assert.notEqual(logged('json', { ...PUSH, url: '/readyz', status: 503 }), '')
    assert.equal(createRequestLog(fakeTerminal(), 'off'), undefined)
  })
})
