"""The currencies that payments are taken in."""

from typing import Annotated

from pydantic import AfterValidator, Field

# ISO 4217:2015, list one, as of 2026-01-01, without funds, metals and codes for testing.
# https://www.six-group.com/en/products-services/financial-information/market-reference-data/data-standards.html
CURRENCIES = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
    CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
    GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD
    KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO
    NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE
    SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND
    VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
    """.split()  # noqa: SIM905 - a list of them would take many times the space
)


def _known(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("must be a currency's code of ISO 4217, such as EUR")
    return code


Currency = Annotated[
    str,
    AfterValidator(_known),
    Field(json_schema_extra={"enum": sorted(CURRENCIES)}, description="ISO 4217", examples=["EUR"]),
]
