"""Surnames: common ones, as they are written on pictures, and those that are words, too."""

_SURNAMES = """
    SMITH JOHNSON WILLIAMS BROWN JONES GARCIA MILLER DAVIS RODRIGUEZ MARTINEZ HERNANDEZ LOPEZ GONZALEZ WILSON ANDERSON
    THOMAS TAYLOR MOORE JACKSON MARTIN LEE PEREZ THOMPSON WHITE HARRIS SANCHEZ CLARK RAMIREZ LEWIS ROBINSON WALKER YOUNG
    ALLEN KING WRIGHT SCOTT TORRES NGUYEN HILL FLORES GREEN ADAMS NELSON BAKER HALL RIVERA CAMPBELL MITCHELL CARTER
    ROBERTS GOMEZ PHILLIPS EVANS TURNER DIAZ PARKER CRUZ EDWARDS COLLINS REYES STEWART MORRIS MORALES MURPHY COOK ROGERS
    GUTIERREZ ORTIZ MORGAN COOPER PETERSON BAILEY REED KELLY HOWARD RAMOS KIM COX WARD RICHARDSON WATSON BROOKS CHAVEZ
    WOOD JAMES BENNETT GRAY MENDOZA RUIZ HUGHES PRICE ALVAREZ CASTILLO SANDERS PATEL MYERS LONG ROSS FOSTER JIMENEZ
    POWELL JENKINS PERRY RUSSELL SULLIVAN BELL COLEMAN BUTLER HENDERSON BARNES FISHER VASQUEZ SIMMONS ROMERO JORDAN
    PATTERSON ALEXANDER HAMILTON GRAHAM REYNOLDS GRIFFIN WALLACE MORENO WEST COLE HAYES BRYANT HERRERA GIBSON ELLIS TRAN
    MEDINA AGUILAR STEVENS MURRAY FORD CASTRO MARSHALL OWENS HARRISON FERNANDEZ MCDONALD WOODS WASHINGTON KENNEDY WELLS
    VARGAS HENRY CHEN FREEMAN WEBB TUCKER GUZMAN BURNS CRAWFORD OLSON SIMPSON PORTER HUNTER GORDON MENDEZ SILVA SHAW
    SNYDER MASON DIXON MUNOZ HUNT HICKS HOLMES PALMER WAGNER BLACK ROBERTSON BOYD STONE SALAZAR FOX WARREN MILLS MEYER
    RICE SCHMIDT GARZA DANIELS FERGUSON NICHOLS STEPHENS SOTO WEAVER RYAN GARDNER PAYNE GRANT DUNN KELLEY SPENCER
    HAWKINS
    WANG LI ZHANG LIU CHANG YANG HUANG ZHAO WU ZHOU XU SUN MA ZHU HU GUO HE LIN GAO LUO ZHENG LIANG XIE TANG FENG DENG
    CAO PENG ZENG XIAO TIAN DONG PAN YUAN CAI JIANG YU DU YE CHENG WEI SU LU DING REN SHEN YAO CUI TAN WONG CHAN CHEUNG
    LAU HO NG LEUNG LAM YIP KWOK PARK CHOI JUNG KANG CHO YOON JANG LIM HAN SHIN SEO KWON HWANG AHN SONG HONG SATO SUZUKI
    TAKAHASHI TANAKA WATANABE ITO YAMAMOTO NAKAMURA KOBAYASHI KATO YOSHIDA YAMADA SASAKI PHAM HOANG PHAN VU VO DANG BUI
    DO NGO DUONG LY KHAN SHAH SINGH KUMAR SHARMA GUPTA RAO REDDY NAIR IYER DAS ROY SEN BOSE MEHTA JAIN JOSHI DESAI ALI
    AHMED HUSSAIN MALIK IQBAL RAHMAN HASAN BEGUM AKHTAR CHAUDHRY SIDDIQUI ANSARI MISHRA VERMA YADAV PILLAI MENON
    KAUR GILL
"""
SURNAMES = frozenset(_SURNAMES.split())
"""Common ones of the United States, and of East and South Asia."""

_WORDS = """
    back baker ball bank banks barber bass bay bean beard bell belt berry bird bishop black blade block blunt bolt
    bond bone bones bowl bowls branch bridge bridges bright brook brooks brown burn burns bush butcher butler butter
    cannon carrier carter case castle chance child chu church clay cloud coin cook cord cork corn cotton couch cross
    crow curry day dent drain driver duck dyer early east eng english faith fall fan farmer fast ferry field fields
    fine finger fish fisher flood flower flowers foot ford foreman forest fox freeman french frost fry gamble
    garland gay gee german glass gold golden good goose grace grant graves gray green grey gross grove guy hall ham
    hand hardy hart harvey hatch hawk hay hazard hedge herd high hill ho hood hook hope horn house hunt hunter hurt
    ivory ivy jewel joy judge keen key king knight lake lamb land lane large lark law lay leaf light lime line
    little lock lodge long loop lord love low ma major maple march mark marks marsh mason may means mercy miles mill
    miller mills minor mo moon moss moth mouth mu nail noble north nut oak old olds orange pace pack page pal palm
    pan parish park parker parks pay peak pear pearl pepper pike pine pipe pitts plant plum pool poor pope porter
    post potter pound power powers price prime prince proper purple quick rain ram ramp ray rays reader red rex rice
    rich ridge ring rio rivers roach rock rod roe root rose round rue rush rust sage salt savage sax say scales seal
    self sharp shell shepherd ship shore short silver simple skinner slack slaughter slow small smart snow sol song
    south spear speed spike spring stain stark steel stern stiff stock stone stout strain strange street strong
    stump sugar summer sun swallow swan sweat sweet swift tan tao tay taylor temple thorn tongue town trail tree
    turner twist vine wade walker wall walls wan ward warm waters wave wax way weaver weeks wells west wheeler white
    wild wing winner winter wise wolf won wood woods worth yellow young
"""
WORD_SURNAMES = frozenset(_WORDS.split())
"""Surnames that are words, in small letters: alone they are sought with a capital only."""

_SHORT = """
    Ng Wu Xu Yu Li Lu Ma Hu Ho Ko Yi Le Vo Vu Ly Bo Sy Fu Gu Du Lo Mo Mu Qi Tu Su Yip Yap Yeo Yee Ong Ang Koh Goh
    Toh Teo Tam Tay Tse Woo Won Noh Nam Han Hou Hsu Fan Fei Gao Guo Cai Cao Chu Cui Dai Dou Jin Jia Kan Kao Kou Lai
    Lam Lau Lei Lou Luo Mak Mao Mei Mok Pan Pei Qin Qiu Rao Roy Rai Das Dey Dev Pal Sen Sha Soh Sui Sun Tao Tan Wan
    Wei Xie Yan Yin Yue Zhu Zou Bui Dao Mai Cox Fox Ray Roe Doe Poe Orr Ott Ely Eng Fay Fry Gay Gee Guy Hay Ivy Kay
    Key Kee Lay Lea Lew Loy Lux May Day Nye Pay Pye Ram Rau Rea Rex Rio Roa Rue Sax Say Sim Sze Uhl Utz Way Wax Yao
    Abe Ito Ota Oda Ono Paz Rey Gil Cid Sol Lee Lim Lin Liu Kim
"""
SHORT_SURNAMES = frozenset(_SHORT.split())
"""Of two and three letters: shorter words than four are names alone only if they are these, or given names."""

_BEGINNINGS = """
    back bean belt black blade block blunt bolt bond bone bones bowl bowls branch bridge bridges bright burn burns case
    castle chance clay cloud coin cord cork cotton cross day dent drain early east english fall fast field fields fine
    finger fish flood foot french frost fry german glass golden good graves green grey gray gross hand head hedge high
    hook horn house hurt key lake land large leaf light lime line little lock long loop low major mark marks means minor
    mouth nail north nut old pace pack palm pan peak pear pine pipe plant pool poor post power pound proper quick rain
    ramp ray rays red rich ridge ring rock rod roe root rose round rush salt scales seal self sharp shell short silver
    simple slack slow small smart south spike spring stain steel stiff stock stone strain strange strong stump sugar
    swallow swan sweat sweet tongue trail tree twist wall walls warm wave waves wax weeks wells west white wild wing
    yellow young brown
"""
BEGINNINGS = frozenset(_BEGINNINGS.split())
"""Those with which sentences on findings begin (`Small effusion`, `Stone in the ureter`), unlike `Parker`."""
