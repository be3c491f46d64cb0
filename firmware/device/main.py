from band.app import main

main()
