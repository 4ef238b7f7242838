"""The query parameters that transactions take: what each means, for everything that describes them."""

from __future__ import annotations

from dataclasses import dataclass

from server.negotiate import EXPLICIT_LITTLE_ENDIAN


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A query parameter: what it means, and a value that is taken wherever it is listed."""

    name: str
    says: str
    example: str


ACCEPT = Parameter(name="accept", says="a media type, before the Accept header", example="*/*")
CHARSET = Parameter(name="charset", says="only UTF-8 is sent", example="utf-8")
ICC = Parameter(name="iccprofile", says="no, yes, srgb, adobergb, rommrgb or displayp3; none in GIF", example="srgb")
ANNOTATION = Parameter(
    name="annotation", says="patient,technique: as the level tells them", example="patient,technique"
)
QUALITY = Parameter(name="quality", says="JPEG quality, 1 to 100", example="80")
VIEWPORT = Parameter(name="viewport", says="width,height[,x,y,w,h]; a negative w or h mirrors", example="8,8")
SMALL = Parameter(name="viewport", says="width,height", example="8,8")
WINDOW = Parameter(name="window", says="center,width,linear|linear-exact|sigmoid", example="100,50,linear")
RENDER = (ACCEPT, CHARSET, ANNOTATION, ICC, QUALITY, VIEWPORT, WINDOW)
THUMBNAIL = (ACCEPT, CHARSET, ICC, QUALITY, SMALL)
SEARCH = (
    ACCEPT,
    CHARSET,
    Parameter(name="{attribute}", says="keyword, ggggeeee or a dotted path: a value to match", example=""),
    Parameter(name="includefield", says="an attribute, a list of them, or all", example="PatientName"),
    Parameter(name="limit", says="at most so many results, never more than 1 000", example="10"),
    Parameter(name="offset", says="leave out so many results", example="0"),
    Parameter(name="fuzzymatching", says="true matches names more loosely", example="false"),
    Parameter(name="emptyvaluematching", says="true or false", example="false"),
    Parameter(name="multiplevaluematching", says="true or false", example="false"),
)
WADO = tuple(
    Parameter(name=name, says=says, example=example)
    for name, says, example in (
        ("requestType", "WADO", "WADO"),
        ("studyUID", "a UID", ""),
        ("seriesUID", "a UID", ""),
        ("objectUID", "a UID", ""),
        ("contentType", "a media type", "image/png"),
        ("charset", "only UTF-8 is sent", "utf-8"),
        ("transferSyntax", "of application/dicom", EXPLICIT_LITTLE_ENDIAN),
        ("anonymize", "yes, with application/dicom: de-identified under a new UID", "yes"),
        ("region", "left,top,right,bottom, each from 0 to 1", "0,0,0.5,0.5"),
        ("frameNumber", "one number, from 1", "1"),
        ("rows", "at most so many", "8"),
        ("columns", "at most so many", "8"),
        ("windowCenter", "together with windowWidth", "100"),
        ("windowWidth", "together with windowCenter", "50"),
        ("imageQuality", "JPEG quality, 1 to 100", "80"),
        ("annotation", "patient,technique: as the level tells them", "patient,technique"),
        ("iccprofile", "no, yes, srgb, adobergb, rommrgb or displayp3", "srgb"),
        ("presentationSeriesUID", "together with presentationUID: a presentation state of the same study", ""),
        ("presentationUID", "together with presentationSeriesUID", ""),
    )
)
