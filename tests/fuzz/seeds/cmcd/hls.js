cid="Qw3rTy8UiOp1",e=t,sid="6e2fb550-c457-11e9-bb97-0800200c9a66",sn=0,ts=1772366300000,v=2
cid="Qw3rTy8UiOp1",e=ps,sid="6e2fb550-c457-11e9-bb97-0800200c9a66",sn=1,sta=d,ts=1772366300000,v=2