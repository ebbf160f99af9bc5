"""What a store answers, as the errors that the rest of the house knows: what is not there, and what cannot be had now.

A message of ours names the bucket and the server's own error code, never a key: keys may hold what identifies a person.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from sources.storage.folder import StoreError

RIGHTS = "check the credentials in the environment (AWS_* or GOOGLE_*; docs/object_storage.md) and their rights there"
REGION = "set AWS_REGION to the bucket's region, and AWS_ENDPOINT_URL_S3 where it is not on AWS"
REACH = "check the network and AWS_ENDPOINT_URL_S3; then run the same command again: it resumes"
AGAIN = "run the same command again: it resumes"
MISSING = "check the name, or make the bucket: curate makes none"

_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_UNREACHED = re.compile(
    r"error sending request|tcp connect error|dns error|connection refused|ConnectError", re.IGNORECASE
)
_TIMED_OUT = re.compile(r"operation timed out|TimedOut|deadline has elapsed", re.IGNORECASE)
_NO_CREDENTIALS = re.compile(r"169\.254\.169\.254|169\.254\.170\.2|metadata\.google|/api/token|CredentialsError")


_PASSING = (408, 429)  # of the errors that are said to be ours, those that pass


class NotSatisfiableError(Exception):
    """A range begins beyond the end of its object."""


class UnsupportedError(Exception):
    """The store has no conditional puts."""


_MEANINGS: dict[int, type[Exception]] = {416: NotSatisfiableError, 501: UnsupportedError}


@contextmanager
def told_apart(place: str) -> Iterator[None]:
    """Turn what obstore raises into errors with a number, and nothing of the request in them.

    Raises:
        FileNotFoundError: the server says 404 (which may also mean the bucket: `NoSuchBucket` where it says so).
        FileExistsError: a put that must not overwrite found something.
        StoreError: anything else; ESTALE where a condition on the ETag failed, EIO where an answer broke off.
        NotSatisfiableError, UnsupportedError: as they say.
    """
    from obstore import exceptions

    try:
        yield
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise no_bucket(place) from None
        raise FileNotFoundError(errno.ENOENT, "no such object") from None
    except exceptions.AlreadyExistsError:
        raise FileExistsError(errno.EEXIST, "there is such an object") from None
    except (exceptions.PreconditionError, exceptions.NotModifiedError):
        raise StoreError(errno.ESTALE, f"{place}: an object changed while it was used", AGAIN) from None
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise StoreError(errno.EACCES, f"{place}: access denied{_code(error)}", RIGHTS) from None
    except (exceptions.NotSupportedError, NotImplementedError):
        raise UnsupportedError from None
    except exceptions.InvalidPathError:
        raise StoreError(
            errno.EILSEQ,
            f"{place}: holds an object whose key is no path (an empty, '.' or '..' segment, or a control character)",
            "rename it, or choose a prefix without it",
        ) from None
    except exceptions.BaseError as error:
        raise _generic(place, error) from None


def no_bucket(place: str) -> StoreError:
    """A bucket that is not there."""
    return StoreError(errno.ENODEV, f"{place}: no such bucket", MISSING)


def no_credentials(place: str, why: str = "no credentials found") -> StoreError:
    """Nobody said who we are."""
    return StoreError(errno.EACCES, f"{place}: {why}", RIGHTS)


def _generic(place: str, error: Exception) -> Exception:
    text = str(error)
    status = _STATUS.search(text)
    number = int(status[1]) if status else 0
    if number in _MEANINGS:
        return _MEANINGS[number]()
    if "NoSuchBucket" in text:
        return no_bucket(place)
    if _NO_CREDENTIALS.search(text):
        return no_credentials(place)
    told = f" (status {number}{_code(error, ', ', '')})" if number else ""
    if number in (401, 403):
        case = (errno.EACCES, f"access denied{_code(error)}", RIGHTS)
    elif (400 <= number < 500 and number not in _PASSING) or number in (301, 307) or "configured region" in text:
        case = (errno.EREMOTEIO, f"the server refuses the request{told}", REGION)
    elif number:
        case = (errno.EREMOTEIO, f"the server failed again and again{told}", AGAIN)
    elif _TIMED_OUT.search(text):
        case = (errno.ETIMEDOUT, "the server does not answer in time", REACH)
    elif _UNREACHED.search(text):
        case = (errno.EHOSTUNREACH, "the server cannot be reached", REACH)
    else:
        case = (errno.EIO, "the connection breaks off again and again", AGAIN)
    code, message, hint = case
    return StoreError(code, f"{place}: {message}", hint)


def _code(error: Exception, before: str = " (", after: str = ")") -> str:
    """The server's own word for what is wrong, such as `SignatureDoesNotMatch`."""
    found = _CODE.search(str(error))
    return "" if found is None else f"{before}{found[1]}{after}"
