{{ mentioned('topic') }}
