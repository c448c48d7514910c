import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Scene, sha256 } from '../../../support/e2e/scene.js'
import type { Files } from './files-listener.js'
import { folder, output } from './programs.js'

/** A simple index of Python packages (PEP 503) with `tiny` 1.0, a module whose `words` these are. */
export async function pipIndex(scene: Scene, python: string, words: string): Promise<Files> {
  const cwd = folder(scene)
  const info = 'tiny-1.0.dist-info'
  mkdirSync(join(cwd, info))
  writeFileSync(join(cwd, 'tiny.py'), `words = ${JSON.stringify(words)}\n`)
  writeFileSync(join(cwd, info, 'METADATA'), 'Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n')
  writeFileSync(join(cwd, info, 'WHEEL'), 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
  writeFileSync(join(cwd, info, 'RECORD'), `tiny.py,,\n${info}/METADATA,,\n${info}/WHEEL,,\n${info}/RECORD,,\n`)
  const name = 'tiny-1.0-py3-none-any.whl'
  await output(scene, [python, '-m', 'zipfile', '-c', name, 'tiny.py', info], { cwd })
  const wheel = readFileSync(join(cwd, name))
  const page = `<!doctype html><a href="/files/${name}#sha256=${sha256(wheel)}">${name}</a>`
  return { '/simple/tiny/': page, [`/files/${name}`]: wheel }
}

/**
 * A registry of npm with `tiny` 1.0.0, a module whose `words` these are.
 * @param url of the registry, without a slash at its end
 */
export async function npmRegistry(scene: Scene, url: string, words: string): Promise<Files> {
  const cwd = folder(scene)
  const manifest = { name: 'tiny', version: '1.0.0', main: 'index.js' }
  mkdirSync(join(cwd, 'package'))
  writeFileSync(join(cwd, 'package/package.json'), JSON.stringify(manifest))
  writeFileSync(join(cwd, 'package/index.js'), `exports.words = ${JSON.stringify(words)}\n`)
  await output(scene, ['tar', '-czf', 'tiny.tgz', 'package'], { cwd })
  const tarball = readFileSync(join(cwd, 'tiny.tgz'))
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
  const dist = { tarball: `${url}/tiny/-/tiny-1.0.0.tgz`, integrity }
  const versions = { '1.0.0': { ...manifest, dist } }
  return {
    '/tiny': JSON.stringify({ name: 'tiny', 'dist-tags': { latest: '1.0.0' }, versions }),
    '/tiny/-/tiny-1.0.0.tgz': tarball,
  }
}
