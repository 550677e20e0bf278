import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startEtcd, type TestEtcd, type TestEtcdOptions } from './etcd.ts'
import { tempDir } from './temp.ts'

/** An etcd whose tokens end after a second, as others' do after minutes. */
export async function startForgetfulEtcd(auth: Required<TestEtcdOptions>['auth']): Promise<TestEtcd> {
  const directory = tempDir()
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const [pub, key] = [join(directory, 'pub.pem'), join(directory, 'key.pem')]
  writeFileSync(pub, publicKey.export({ type: 'spki', format: 'pem' }))
  writeFileSync(key, privateKey.export({ type: 'pkcs1', format: 'pem' }))
  const token = `jwt,pub-key=${pub},priv-key=${key},sign-method=RS256,ttl=1s`
  return await startEtcd({ auth, args: ['--auth-token', token] })
}
