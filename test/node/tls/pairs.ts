import { type CertificatePair, readCertificatePair } from '../../../src/node/tls/certificate-pair.js'
import { Authority, type IssueOptions } from '../../support/certificates.js'

/** A certificate as the server has it, of an authority that nobody asks for. */
export async function pairOf(options: IssueOptions = {}, authority?: Authority): Promise<CertificatePair> {
  const { chain, key } = await (authority ?? (await Authority.create())).issue(options)
  return readCertificatePair(chain, key)
}
