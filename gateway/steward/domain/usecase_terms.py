"""The terms that the register may use: of W3C's Data Privacy Vocabulary 2, its extensions PD and EU-GDPR."""

from __future__ import annotations

import re
from collections.abc import Mapping

NAMESPACES: Mapping[str, str] = {
    "dpv": "https://w3id.org/dpv#",
    "pd": "https://w3id.org/dpv/pd#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
}
TERM = re.compile(r"(?:dpv|pd):[A-Z][A-Za-z]{2,48}")
PURPOSES = frozenset(
    f"dpv:{name}"
    for name in (
        "AgeVerification",
        "CustomerCare",
        "CustomerClaimsManagement",
        "DisputeManagement",
        "EnforceAccessControl",
        "EnforceSecurity",
        "FraudPreventionAndDetection",
        "IdentityAuthentication",
        "IdentityVerification",
        "ImproveExistingProductsAndServices",
        "LegalCompliance",
        "MisusePreventionAndDetection",
        "OptimisationForConsumer",
        "OrganisationComplianceManagement",
        "PaymentManagement",
        "PersonnelManagement",
        "ProvidePersonalisedRecommendations",
        "ProvideProductRecommendations",
        "RecordManagement",
        "RequestedServiceProvision",
        "RightsFulfillment",
        "SellProductsToDataSubject",
        "ServicePersonalisation",
        "ServiceProvision",
        "ServiceRegistration",
        "ServiceUsageAnalytics",
        "TechnicalServiceProvision",
        "UserInterfacePersonalisation",
        "Verification",
    )
)
CONSENT, EXPLICIT_CONSENT = "eu-gdpr:A6-1-a", "eu-gdpr:A9-2-a"
BASES = frozenset(f"eu-gdpr:A6-1-{letter}" for letter in "abcdef")
SPECIAL_BASES = frozenset(f"eu-gdpr:A9-2-{letter}" for letter in "abcdefghij")


def iri(term: str) -> str:
    """In full. Raises KeyError for a prefix that is not of ours."""
    prefix, _, name = term.partition(":")
    return NAMESPACES[prefix] + name
