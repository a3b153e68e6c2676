import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseChmod } from '../../../../src/builder/dockerfile/chmod.ts'
import { parseDuration } from '../../../../src/builder/dockerfile/duration.ts'
import { parsePorts } from '../../../../src/builder/dockerfile/ports.ts'
import { checkSignal } from '../../../../src/builder/dockerfile/signal.ts'
import { suggest } from '../../../../src/builder/dockerfile/suggest.ts'
import { failureOf } from './parsing.ts'

const SPAN = { source: { name: 'Dockerfile', text: '' }, startLine: 3, endLine: 3 }

const PORTS: readonly (readonly [word: string, ports: readonly string[]])[] = [
  ['80', ['80/tcp']],
  ['080', ['80/tcp']],
  ['80/', ['80/tcp']],
  ['53/UDP', ['53/udp']],
  ['9/sctp', ['9/sctp']],
  ['0', ['0/tcp']],
  ['8000-8002/udp', ['8000/udp', '8001/udp', '8002/udp']],
  ['8080:80', ['80/tcp']],
  [':80', ['80/tcp']],
  ['8080-8081:80', ['80/tcp']],
  ['8080-8081:80-81', ['80/tcp', '81/tcp']],
  ['127.0.0.1:8080:80', ['80/tcp']],
  ['127.0.0.1::80', ['80/tcp']],
  ['[::1]:8080:80', ['80/tcp']],
  ['::1:8080:80', ['80/tcp']],
]

for (const [word, ports] of PORTS)
  test(`semantics 18: parsePorts(${JSON.stringify(word)})`, () =>
    assert.deepEqual(parsePorts([word], SPAN), ports))

for (const word of [
  '',
  'http',
  '65536',
  '-1',
  '80-',
  '81-80',
  '1-2-3',
  '80/x',
  '/tcp',
  '80:',
  'x:80',
  '1-3:80-81',
  'host:1:80',
  '1.2.3:1:80',
  '99999999999',
  '+80',
  '8_0',
  '80/tcp/udp',
])
  test(`semantics 18: parsePorts(${JSON.stringify(word)}) is refused`, () =>
    assert.equal(failureOf(() => parsePorts([word], SPAN)).span, SPAN))

test('parsePorts() stops words that make ports without end', () => {
  assert.equal(parsePorts(['0-65535'], SPAN).length, 65536)
  assert.match(failureOf(() => parsePorts(Array(5).fill('0-65535'), SPAN)).message, /more than/)
})

for (const signal of ['9', '-9', '+15', 'KILL', 'SIGTERM', 'sigquit', 'RTMIN', 'SIGRTMIN+15', 'RTMAX-14'])
  test(`semantics 19: checkSignal(${JSON.stringify(signal)}) passes`, () => checkSignal(signal, SPAN))

for (const signal of ['', '0', '-0', 'SIGFOO', 'SIGSIGTERM', 'RTMIN+16', 'RTMAX-15', 'RTMIN-1', '9 ', '1e1'])
  test(`semantics 19: checkSignal(${JSON.stringify(signal)}) is refused`, () => {
    assert.equal(failureOf(() => checkSignal(signal, SPAN)).span, SPAN)
  })

test('checkSignal() tells the nearest signal', () => {
  assert.match(failureOf(() => checkSignal('SIGTREM', SPAN)).hint ?? '', /SIGTERM/)
})

const DURATIONS: readonly (readonly [text: string, nanoseconds: number | undefined])[] = [
  ['0', 0],
  ['-0', 0],
  ['1ns', 1],
  ['1us', 1e3],
  ['1µs', 1e3],
  ['1μs', 1e3],
  ['1ms', 1e6],
  ['1.5s', 1.5e9],
  ['.5s', 0.5e9],
  ['5.s', 5e9],
  ['1h2m3s', 3723e9],
  ['-1m', -60e9],
  ['0.0000000001s', 0],
  ['', undefined],
  ['s', undefined],
  ['.s', undefined],
  ['1', undefined],
  ['1 s', undefined],
  ['1d', undefined],
  ['1s ', undefined],
  ['--1s', undefined],
  ['9223372036s', 9223372036e9],
  ['9223372037s', undefined],
  ['1e3s', undefined],
]

for (const [text, nanoseconds] of DURATIONS)
  test(`parseDuration(${JSON.stringify(text)})`, () => assert.equal(parseDuration(text), nanoseconds))

const MODES: readonly (readonly [
  text: string,
  mode: number,
  type: 'file' | 'directory' | 'symlink',
  expected: number,
])[] = [
  ['755', 0o644, 'file', 0o755],
  ['0', 0o644, 'file', 0],
  ['04755', 0o644, 'file', 0o4755],
  ['7777', 0o777, 'symlink', 0o777],
  ['u=rwX,go=rX', 0o644, 'file', 0o644],
  ['u=rwX,go=rX', 0o744, 'file', 0o755],
  ['u=rwX,go=rX', 0o600, 'directory', 0o755],
  ['u=rwX', 0o777, 'symlink', 0o777],
  ['+x', 0o644, 'file', 0o755],
  ['a-w', 0o666, 'file', 0o444],
  ['go=', 0o777, 'file', 0o700],
  ['u+s', 0o755, 'file', 0o4755],
  ['g+s,+t', 0o755, 'directory', 0o3755],
  ['o+s', 0o755, 'file', 0o755],
  ['=r', 0o4755, 'file', 0o444],
  ['g=u,o=g-w', 0o640, 'file', 0o664],
  ['g=u', 0o640, 'file', 0o660],
  ['u+x-w', 0o644, 'file', 0o544],
]

for (const [text, mode, type, expected] of MODES)
  test(`semantics 36: parseChmod(${JSON.stringify(text)}) of ${mode.toString(8)} (${type})`, () =>
    assert.equal(parseChmod(text, SPAN).change(mode, type).toString(8), expected.toString(8)))

for (const text of ['', '8', '10000', '755x', '-1', '0o755', 'u', 'z+r', 'u+q', 'u=r,', ',u=r', 'rwx'])
  test(`semantics 36: parseChmod(${JSON.stringify(text)}) is refused`, () =>
    assert.equal(failureOf(() => parseChmod(text, SPAN)).span, SPAN))

test('suggest() finds what was meant, and nothing where nothing was', () => {
  const names = ['RUN', 'COPY', 'ENTRYPOINT', 'HEALTHCHECK', 'USER']
  assert.equal(suggest('rnu', names), 'RUN')
  assert.equal(suggest('ENTRYPONT', names), 'ENTRYPOINT')
  assert.equal(suggest('healthchek', names), 'HEALTHCHECK')
  assert.equal(suggest('xyzzy', names), undefined)
  assert.equal(suggest('', names), undefined)
  assert.equal(suggest('x'.repeat(1_000_000), names), undefined)
})
