"""Which kind of build this is. In a band's flash the image build puts its own there; nothing later changes it."""

PRODUCTION = False
