package compat

// The texts that old clients may compare with. Those of a single operation are in the file of that operation.
const (
	mustLoginText          = "Must login"
	loginFailedText        = "Login failed"
	invalidCredentialsText = "invalid credentials" // #nosec G101 -- an error message
	invalidTokenText       = "invalid token"
	tokenExpiredText       = "token expired"
	userInactiveText       = "Cannot complete request: User is inactive"

	noBodyText      = "Cannot read properties of undefined (reading 'operation')"
	emptyBodyText   = "Body cannot be empty when content-type is set to 'application/json'"
	noOperationText = "Request body must include an 'operation' property."
	// bodySizeText is what the recorded server says of bytes that are not UTF-8: it compares the length after replacing them.
	bodySizeText = "Request body size did not match Content-Length"

	internalErrorText = "There was an error processing your request. Check logs and try again."
)

// The texts that the recorded server does not have.
const (
	unavailableText = "Service unavailable, try again later"
	throttledText   = "Too many failed attempts, try again later"
)
