//! TLS, SASL, tokens and authorization.

use super::*;

definitions! {
    "authorizer.class.name" String "" [NonNull] Low refused ACL
        "The Java class that decides who may do what.";
    "principal.builder.class" Class "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder" [Any] Medium unsupported CLASSES
        "A Java class that makes a principal of a connection.";
    "security.providers" String null [Any] Low unsupported CLASSES
        "Java security providers.";
    "delegation.token.expiry.check.interval.ms" Long "3600000" [AtLeast(1)] Low unsupported TOKENS
        "How often expired delegation tokens are looked for.";
    "delegation.token.expiry.time.ms" Long "86400000" [AtLeast(1)] Medium unsupported TOKENS
        "How long a delegation token lasts without renewal.";
    "delegation.token.max.lifetime.ms" Long "604800000" [AtLeast(1)] Medium unsupported TOKENS
        "How long a delegation token can be renewed.";
    "delegation.token.secret.key" Password null [Any] Medium unsupported TOKENS
        "The key that signs delegation tokens.";
    "ssl.allow.dn.changes" Boolean "false" [Any] Low unsupported TLS
        "Whether a new certificate may carry another distinguished name.";
    "ssl.allow.san.changes" Boolean "false" [Any] Low unsupported TLS
        "Whether a new certificate may carry other alternative names.";
    "ssl.cipher.suites" List "" [Any] Medium unsupported TLS
        "The cipher suites offered.";
    "ssl.client.auth" String "none" [OneOf(&["required", "requested", "none"])] Medium unsupported TLS
        "Whether clients must show a certificate.";
    "ssl.enabled.protocols" List "TLSv1.2,TLSv1.3" [Any] Medium unsupported TLS
        "The TLS versions offered.";
    "ssl.endpoint.identification.algorithm" String "https" [Any] Low unsupported TLS
        "How the name in a server's certificate is checked.";
    "ssl.engine.factory.class" Class null [Any] Low unsupported TLS
        "A Java class that makes TLS engines.";
    "ssl.key.password" Password null [Any] Medium unsupported TLS
        "The password of the private key.";
    "ssl.keymanager.algorithm" String "SunX509" [Any] Medium unsupported TLS
        "Java's key manager algorithm.";
    "ssl.keystore.certificate.chain" Password null [Any] Medium unsupported TLS
        "The certificate chain as PEM text.";
    "ssl.keystore.key" Password null [Any] Medium unsupported TLS
        "The private key as PEM text.";
    "ssl.keystore.location" String null [Any] Medium unsupported TLS
        "The file of the key and its certificate.";
    "ssl.keystore.password" Password null [Any] Medium unsupported TLS
        "The password of the key file.";
    "ssl.keystore.type" String "JKS" [Any] Medium unsupported TLS
        "The format of the key file.";
    "ssl.principal.mapping.rules" String "DEFAULT" [Any] Low unsupported TLS
        "How a certificate's name becomes a user name.";
    "ssl.protocol" String "TLSv1.3" [Any] Medium unsupported TLS
        "The TLS version of Java's context.";
    "ssl.provider" String null [Any] Medium unsupported TLS
        "The Java security provider of TLS.";
    "ssl.secure.random.implementation" String null [Any] Low unsupported TLS
        "Java's source of random numbers.";
    "ssl.trustmanager.algorithm" String "PKIX" [Any] Medium unsupported TLS
        "Java's trust manager algorithm.";
    "ssl.truststore.certificates" Password null [Any] Medium unsupported TLS
        "The trusted certificates as PEM text.";
    "ssl.truststore.location" String null [Any] Medium unsupported TLS
        "The file of the trusted certificates.";
    "ssl.truststore.password" Password null [Any] Medium unsupported TLS
        "The password of the file of trusted certificates.";
    "ssl.truststore.type" String "JKS" [Any] Medium unsupported TLS
        "The format of the file of trusted certificates.";
    "sasl.client.callback.handler.class" Class null [Any] Medium unsupported SASL
        "A Java class that answers SASL callbacks of the client side.";
    "sasl.enabled.mechanisms" List "GSSAPI" [Any] Medium unsupported SASL
        "The SASL mechanisms offered.";
    "sasl.jaas.config" Password null [Any] Medium unsupported SASL
        "The JAAS login configuration.";
    "sasl.kerberos.kinit.cmd" String "/usr/bin/kinit" [Any] Medium unsupported SASL
        "The path of Kerberos' `kinit`.";
    "sasl.kerberos.min.time.before.relogin" Long "60000" [Any] Medium unsupported SASL
        "How long Kerberos waits between two logins.";
    "sasl.kerberos.principal.to.local.rules" List "DEFAULT" [Any] Medium unsupported SASL
        "How a Kerberos principal becomes a user name.";
    "sasl.kerberos.service.name" String null [Any] Medium unsupported SASL
        "The broker's Kerberos service name.";
    "sasl.kerberos.ticket.renew.jitter" Double "0.05" [Any] Medium unsupported SASL
        "By what share the renewal time of a ticket varies.";
    "sasl.kerberos.ticket.renew.window.factor" Double "0.8" [Any] Medium unsupported SASL
        "After what share of its life a ticket is renewed.";
    "sasl.login.callback.handler.class" Class null [Any] Medium unsupported SASL
        "A Java class that answers login callbacks.";
    "sasl.login.class" Class null [Any] Medium unsupported SASL
        "A Java class that logs in.";
    "sasl.login.connect.timeout.ms" Int null [Any] Low unsupported SASL
        "How long a login waits for a connection.";
    "sasl.login.read.timeout.ms" Int null [Any] Low unsupported SASL
        "How long a login waits for an answer.";
    "sasl.login.refresh.buffer.seconds" Short "300" [Any] Medium unsupported SASL
        "How long before its end a token is renewed at the latest.";
    "sasl.login.refresh.min.period.seconds" Short "60" [Any] Medium unsupported SASL
        "How long a token is used before it is renewed.";
    "sasl.login.refresh.window.factor" Double "0.8" [Any] Medium unsupported SASL
        "After what share of its life a token is renewed.";
    "sasl.login.refresh.window.jitter" Double "0.05" [Any] Medium unsupported SASL
        "By what share the renewal time of a token varies.";
    "sasl.login.retry.backoff.max.ms" Long "10000" [Any] Low unsupported SASL
        "How long a login waits at most before the next try.";
    "sasl.login.retry.backoff.ms" Long "100" [Any] Low unsupported SASL
        "How long a login waits at first before the next try.";
    "sasl.mechanism.inter.broker.protocol" String "GSSAPI" [Any] Medium ignored ALONE
        "The SASL mechanism brokers use among themselves.";
    "sasl.oauthbearer.assertion.algorithm" String "RS256" [OneOfIgnoreCase(&["ES256", "RS256"])] Medium unsupported OAUTH
        "The algorithm that signs assertions.";
    "sasl.oauthbearer.assertion.claim.aud" String null [Any] Medium unsupported OAUTH
        "The audience an assertion names.";
    "sasl.oauthbearer.assertion.claim.exp.seconds" Int "300" [Between(0, 86_400)] Low unsupported OAUTH
        "How long an assertion is valid.";
    "sasl.oauthbearer.assertion.claim.iss" String null [Any] Medium unsupported OAUTH
        "The issuer an assertion names.";
    "sasl.oauthbearer.assertion.claim.jti.include" Boolean "false" [Any] Medium unsupported OAUTH
        "Whether an assertion carries an id.";
    "sasl.oauthbearer.assertion.claim.nbf.seconds" Int "60" [Between(0, 3600)] Low unsupported OAUTH
        "How far back an assertion is valid.";
    "sasl.oauthbearer.assertion.claim.sub" String null [Any] Medium unsupported OAUTH
        "The subject an assertion names.";
    "sasl.oauthbearer.assertion.file" String null [Any] Medium unsupported OAUTH
        "A file that holds a ready assertion.";
    "sasl.oauthbearer.assertion.private.key.file" String null [Any] Medium unsupported OAUTH
        "The file of the key that signs assertions.";
    "sasl.oauthbearer.assertion.private.key.passphrase" Password null [Any] Medium unsupported OAUTH
        "The passphrase of that key.";
    "sasl.oauthbearer.assertion.template.file" String null [Any] Medium unsupported OAUTH
        "A file with the parts of an assertion that do not change.";
    "sasl.oauthbearer.client.credentials.client.id" String null [Any] Medium unsupported OAUTH
        "The id of the client that asks for a token.";
    "sasl.oauthbearer.client.credentials.client.secret" Password null [Any] Medium unsupported OAUTH
        "The secret of the client that asks for a token.";
    "sasl.oauthbearer.clock.skew.seconds" Int "30" [Any] Low unsupported OAUTH
        "How far the clocks of issuer and broker may differ.";
    "sasl.oauthbearer.expected.audience" List "" [Any] High unsupported OAUTH
        "The audience a token must name.";
    "sasl.oauthbearer.expected.issuer" String null [Any] High unsupported OAUTH
        "The issuer a token must name.";
    "sasl.oauthbearer.jwks.endpoint.refresh.ms" Long "3600000" [Any] Low unsupported OAUTH
        "How often the issuer's keys are fetched.";
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms" Long "10000" [Any] Low unsupported OAUTH
        "How long fetching the keys waits at most before the next try.";
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms" Long "100" [Any] Low unsupported OAUTH
        "How long fetching the keys waits at first before the next try.";
    "sasl.oauthbearer.jwks.endpoint.url" String null [Any] Medium unsupported OAUTH
        "Where the issuer's keys are.";
    "sasl.oauthbearer.jwt.retriever.class" Class "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever" [Any] Medium unsupported OAUTH
        "A Java class that fetches tokens.";
    "sasl.oauthbearer.jwt.validator.class" Class "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator" [Any] Medium unsupported OAUTH
        "A Java class that checks tokens.";
    "sasl.oauthbearer.scope" String null [Any] Medium unsupported OAUTH
        "The scope asked for with a token.";
    "sasl.oauthbearer.scope.claim.name" String "scope" [Any] Low unsupported OAUTH
        "Which claim of a token holds the scope.";
    "sasl.oauthbearer.sub.claim.name" String "sub" [Any] Low unsupported OAUTH
        "Which claim of a token holds the subject.";
    "sasl.oauthbearer.token.endpoint.url" String null [Any] Medium unsupported OAUTH
        "Where tokens are issued.";
    "sasl.server.callback.handler.class" Class null [Any] Medium unsupported SASL
        "A Java class that answers SASL callbacks of the broker.";
    "sasl.server.max.receive.size" Int "524288" [Any] Medium unsupported SASL
        "The largest message before authentication is done.";
}
